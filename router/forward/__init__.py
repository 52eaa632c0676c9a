"""From a request that is understood to an answer: which replicas are asked, in which order, and what if one fails."""
