"""What the driver writes to the kernel log: XIDs of GPUs and SXIDs of NVSwitches."""
