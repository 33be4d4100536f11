"""What our lab adds to mgd."""
