"""What the collector says about itself: metrics and logs."""
