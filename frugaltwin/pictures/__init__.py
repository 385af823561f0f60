"""Pictures of campaigns and of true diagrams: one file per picture."""
