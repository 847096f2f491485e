"""Tables of Arrow: which columns hold what, and what stands in them."""
