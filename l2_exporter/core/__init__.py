"""Pure code: books, sequence rules, sampling, losses. No socket, clock, thread, log or file."""
