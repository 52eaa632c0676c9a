"""The control loop: follows the registry, and makes replicas hold what it says, one decision at a time."""
