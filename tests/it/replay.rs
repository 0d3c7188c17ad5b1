//! Replays over the real executable.
