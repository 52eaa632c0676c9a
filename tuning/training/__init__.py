"""Training: recipes, runs that can be killed and resumed, their estimate and watch, the folder that they leave."""
