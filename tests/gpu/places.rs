//! Where the helper can be executed: containers that forbid one way or another, other glibcs, none at all.
