//! A year in seconds: the real executable plays data through the whole loop, and the document it ends with is examined.

mod change;
mod estimated;
mod flights;
mod gates;
mod generated;
mod killed;
mod played;
mod repeated;
mod strategies;
mod streams;
