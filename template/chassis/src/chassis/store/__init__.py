"""What outlives the process: one database, and one file for each thing that is kept in it."""
