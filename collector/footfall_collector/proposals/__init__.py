"""What `footfall init` proposes: events for what an application has."""
