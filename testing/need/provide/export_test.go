package main

// Provide is what the program does.
var Provide = provide
