//! The command line, by the real executable: whole invocations, with exit code, stdout and stderr.
//!
//! One state is made per test process, by a replay of generated rows that takes about a second; tests that only look share
//! it, tests that change something copy it. Longer snapshots are files in `cli/snapshots`; `UPDATE_EXPECT=1` rewrites them.

mod api;
mod bad_data;
mod bad_state;
mod care;
mod changes;
mod configuration;
mod corpus;
mod documents;
mod drift;
mod gates;
mod hostile;
mod past;
mod reads;
mod requests;
mod setting;
mod terminal;
