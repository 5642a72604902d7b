"""What the kernel log says: XIDs of GPUs, SXIDs of NVSwitches, processes killed for want of memory."""
