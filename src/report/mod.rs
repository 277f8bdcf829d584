//! Words: how findings, errors and the end of a run are told, as text lines, JSON and a termination message. Data in,
//! words out; it decides nothing.
