package main_test

import "testing"

func devPage(t *testing.T, program string)    { t.Helper() }
func devScripts(t *testing.T, program string) { t.Helper() }
