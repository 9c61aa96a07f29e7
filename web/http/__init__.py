"""HTTP as handlers see it: requests, replies, problems, query strings, clients."""
