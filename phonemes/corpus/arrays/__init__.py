"""The course's .npy files in all their editions."""
