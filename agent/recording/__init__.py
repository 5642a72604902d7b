"""What a machine's GPU driver answered, in a file: to see a fault again without the machine."""
