"""The paper's tables and figures at full size, on users' data: prepare, train, evaluate, and print beside the paper."""
