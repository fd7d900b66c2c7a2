package main

// Serve is what the program does.
var Serve = serve
