"""Figures of what a model has learned and sees; the numbers are from potential/pictures.py and the kinds' own pages."""
