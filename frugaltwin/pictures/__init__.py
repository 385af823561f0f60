"""Pictures of campaigns and diagrams: one file a picture."""
