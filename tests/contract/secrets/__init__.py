"""Where secrets may be: the whole life of a fleet, overheard at every place where something could get out."""
