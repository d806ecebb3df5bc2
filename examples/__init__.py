"""Examples: instrument files, daemons, and two things to run and look at."""
