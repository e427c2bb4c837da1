"""Studies that justify the models' choices: costly, computed when asked for, never weekly."""
