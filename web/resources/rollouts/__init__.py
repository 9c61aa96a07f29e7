"""What all who take hosts away share: policies of clusters, and locks."""
