"""Input: reads bytes from files and pipes, and parses them into blocks of lines."""
