"""Entity tables: coefficients of each entity, in memory and on disk."""
