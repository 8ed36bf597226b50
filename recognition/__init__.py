"""What others trained or collected: the recogniser, the judge of speech, the pronouncing dictionary. For live and batch alike."""
