"""Faces: where they are, their landmarks, and the common frame they are brought into."""
