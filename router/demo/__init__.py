"""`signalbox demo`: the whole way on one machine, with stand-ins for the models and everything else real."""
