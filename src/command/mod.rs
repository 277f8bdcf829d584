//! The sub-commands that start nothing: check, config, deps, gpu, env, status, health. One file each.
