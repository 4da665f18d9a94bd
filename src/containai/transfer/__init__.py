"""How work gets into a box that has no mount of its workspace, and back, over plain ssh."""
