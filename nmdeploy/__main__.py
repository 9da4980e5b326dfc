"""`python -m nmdeploy`: the command line, by the interpreter that has the package."""

from nmdeploy.cli.main import main

if __name__ == "__main__":
    main()
