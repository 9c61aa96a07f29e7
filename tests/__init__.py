"""The promises that Commissaire keeps."""
