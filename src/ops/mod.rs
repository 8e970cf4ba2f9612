//! Nights: registry, retrain, lock, schedule, status.
