"""Events -> alerts -> people: conditions, the desk, channels. Pure, but for the stages and channels."""
