"""Commands that fit `vjepa-tracker` into a shell."""
