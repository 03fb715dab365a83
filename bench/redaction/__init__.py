"""Personal and harmless texts, and what is recognised of them."""
