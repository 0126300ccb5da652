"""Events -> alerts. Pure, but for service.py."""
