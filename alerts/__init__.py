"""Events -> alerts -> topic ecg.alerts. Pure, but for service.py."""
