"""What differs between one process, data parallelism, FSDP2 and ZeRO."""
