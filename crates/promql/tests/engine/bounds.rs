//! Hostile queries: each is refused or answered inside its limits.
