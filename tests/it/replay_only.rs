mod executable;
mod replay;
