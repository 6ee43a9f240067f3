"""Integers to bits, exactly: rounding with a guard, tables of frequencies, a range coder. numpy only."""
