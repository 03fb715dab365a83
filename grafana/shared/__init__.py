"""What the dashboards have in common: queries, panels, variables, and the frame around them."""
