"""What a name in a file means: functions, types, values, locks, and whom a call reaches."""
