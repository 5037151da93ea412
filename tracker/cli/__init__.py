"""The commands: one file each, all behind `vjepa-tracker`."""
