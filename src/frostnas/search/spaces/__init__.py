"""Search spaces: they enumerate, sample, encode; they know no supernet and no strategy."""
