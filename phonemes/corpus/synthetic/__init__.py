"""Generated speech with exact labels."""
